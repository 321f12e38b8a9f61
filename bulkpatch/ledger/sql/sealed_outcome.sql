-- What the seal of a saved plan covers.
SELECT * FROM outcome ORDER BY row
