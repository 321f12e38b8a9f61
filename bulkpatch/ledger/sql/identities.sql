-- Every row that has a request of its own: what was planned for which destination, and where it stands.
-- A row that waits after an attempt that may have been applied stands as one that is under way.
SELECT r.row,
       r.destination_id,
       r.digest,
       COALESCE(t.state, o.state,
                CASE WHEN EXISTS (SELECT 1 FROM setback s WHERE s.row = r.row AND s.maybe_applied)
                       OR EXISTS (SELECT 1 FROM intent i WHERE i.row = r.row
                                  AND NOT EXISTS (SELECT 1 FROM setback s WHERE s.row = i.row AND s.attempt = i.attempt)
                                  AND NOT EXISTS (SELECT 1 FROM passed p WHERE p.row = i.row AND p.attempt = i.attempt))
                     THEN 'in_flight' ELSE 'pending' END)
FROM row r
LEFT JOIN outcome o ON o.row = r.row
LEFT JOIN settlement t ON t.row = r.row
WHERE r.lead IS NULL
ORDER BY r.row
