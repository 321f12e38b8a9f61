-- Every input row once: by its outcome (or its lead's), else by whether its last intent has an answer.
SELECT COALESCE(t.state, o.state,
                CASE WHEN EXISTS (SELECT 1 FROM intent i WHERE i.row = COALESCE(r.lead, r.row)
                                  AND NOT EXISTS (SELECT 1 FROM setback s WHERE s.row = i.row AND s.attempt = i.attempt)
                                  AND NOT EXISTS (SELECT 1 FROM passed p WHERE p.row = i.row AND p.attempt = i.attempt))
                     THEN 'in_flight' ELSE 'pending' END) AS state,
       COUNT(*)
FROM row r
LEFT JOIN outcome o ON o.row = COALESCE(r.lead, r.row)
LEFT JOIN settlement t ON t.row = COALESCE(r.lead, r.row)
GROUP BY 1
