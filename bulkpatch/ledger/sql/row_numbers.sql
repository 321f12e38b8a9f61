-- Input rows whose state is one of the names in the JSON array; a row without outcome is 'not_attempted'.
SELECT r.row
FROM row r LEFT JOIN outcome o ON o.row = COALESCE(r.lead, r.row)
WHERE COALESCE(o.state, 'not_attempted') IN (SELECT value FROM json_each(:states))
ORDER BY r.row
