-- What the seal of a saved plan covers.
SELECT * FROM sight ORDER BY row
