-- Rows that share the request of a row before them, by that one's state.
SELECT COALESCE(t.state, o.state,
                CASE WHEN EXISTS (SELECT 1 FROM intent i WHERE i.row = r.lead
                                  AND NOT EXISTS (SELECT 1 FROM setback s WHERE s.row = i.row AND s.attempt = i.attempt)
                                  AND NOT EXISTS (SELECT 1 FROM passed p WHERE p.row = i.row AND p.attempt = i.attempt))
                     THEN 'in_flight' ELSE 'pending' END),
       COUNT(*)
FROM row r
LEFT JOIN outcome o ON o.row = r.lead
LEFT JOIN settlement t ON t.row = r.lead
WHERE r.lead IS NOT NULL
GROUP BY 1
