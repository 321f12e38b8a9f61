-- What the seal of a saved plan covers.
SELECT * FROM meta WHERE key NOT IN ('seal', 'used') ORDER BY key
