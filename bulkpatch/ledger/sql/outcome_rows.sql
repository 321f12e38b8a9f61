-- One line an input row of a range, in input order; a follower carries what its lead met. What was settled later wins.
SELECT r.row,
       r.destination_id,
       COALESCE(t.state, o.state,
                CASE WHEN EXISTS (SELECT 1 FROM intent i WHERE i.row = COALESCE(r.lead, r.row)
                                  AND NOT EXISTS (SELECT 1 FROM setback s WHERE s.row = i.row AND s.attempt = i.attempt)
                                  AND NOT EXISTS (SELECT 1 FROM passed p WHERE p.row = i.row AND p.attempt = i.attempt))
                     THEN 'in_flight' ELSE 'pending' END),
       COALESCE(o.stage, 'patch'),
       r.wave,
       (SELECT COUNT(*) FROM intent i WHERE i.row = COALESCE(r.lead, r.row))
           - (SELECT COUNT(*) FROM setback s WHERE s.row = COALESCE(r.lead, r.row) AND s.withdrawn),
       COALESCE(o.http_status, b.http_status),
       CASE WHEN t.row IS NOT NULL THEN t.code WHEN o.row IS NULL THEN b.code ELSE o.code END,
       CASE WHEN t.row IS NOT NULL THEN t.error WHEN o.row IS NULL THEN b.error ELSE o.error END,
       f.paths,
       (SELECT MIN(i.at_us) FROM intent i WHERE i.row = COALESCE(r.lead, r.row)
        AND NOT EXISTS (SELECT 1 FROM setback s WHERE s.row = i.row AND s.attempt = i.attempt AND s.withdrawn)),
       COALESCE(t.at_us, o.at_us),
       COALESCE(o.latency_us, b.latency_us),
       COALESCE(t.facts, o.facts,
                (SELECT p.facts FROM passed p WHERE p.row = COALESCE(r.lead, r.row) AND p.stage = 'patch'
                 AND p.facts IS NOT NULL ORDER BY p.attempt DESC LIMIT 1)),
       r.labels
FROM row r
JOIN fieldset f ON f.id = r.fieldset
LEFT JOIN outcome o ON o.row = COALESCE(r.lead, r.row)
LEFT JOIN settlement t ON t.row = COALESCE(r.lead, r.row)
LEFT JOIN setback b ON o.row IS NULL AND b.row = COALESCE(r.lead, r.row) AND NOT b.withdrawn
     AND b.attempt = (SELECT MAX(s.attempt) FROM setback s WHERE s.row = b.row AND NOT s.withdrawn)
WHERE r.row BETWEEN :first AND :last
ORDER BY r.row
