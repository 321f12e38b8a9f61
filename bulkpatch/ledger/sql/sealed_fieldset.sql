-- What the seal of a saved plan covers.
SELECT * FROM fieldset ORDER BY id
