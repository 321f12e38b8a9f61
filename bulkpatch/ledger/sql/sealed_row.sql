-- What the seal of a saved plan covers.
SELECT * FROM row ORDER BY row
