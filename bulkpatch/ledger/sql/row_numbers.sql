-- Input rows whose state is one of the names in the JSON array; a row without outcome is 'not_attempted'.
SELECT r.row
FROM row r
LEFT JOIN outcome o ON o.row = COALESCE(r.lead, r.row)
LEFT JOIN settlement t ON t.row = COALESCE(r.lead, r.row)
WHERE COALESCE(t.state, o.state, 'not_attempted') IN (SELECT value FROM json_each(:states))
ORDER BY r.row
