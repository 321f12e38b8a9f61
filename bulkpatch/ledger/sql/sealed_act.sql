-- What the seal of a saved plan covers.
SELECT * FROM act ORDER BY id
