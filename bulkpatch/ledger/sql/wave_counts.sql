-- Of each wave, the rows that have a request of their own, by state.
SELECT r.wave,
       COALESCE(o.state,
                CASE WHEN EXISTS (SELECT 1 FROM intent i WHERE i.row = r.row
                                  AND NOT EXISTS (SELECT 1 FROM setback s WHERE s.row = i.row AND s.attempt = i.attempt)
                                  AND NOT EXISTS (SELECT 1 FROM passed p WHERE p.row = i.row AND p.attempt = i.attempt))
                     THEN 'in_flight' ELSE 'pending' END) AS state,
       COUNT(*)
FROM row r LEFT JOIN outcome o ON o.row = r.row
WHERE r.lead IS NULL
GROUP BY 1, 2
