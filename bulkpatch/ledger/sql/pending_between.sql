-- Rows without an outcome, with what their attempts came to. A follower is its lead's matter.
SELECT r.row,
       r.destination_id,
       r.digest,
       COALESCE((SELECT MAX(i.attempt) FROM intent i WHERE i.row = r.row), 0) AS attempt,
       COALESCE((SELECT SUM(s.counted) FROM setback s WHERE s.row = r.row), 0) AS tried,
       COALESCE((SELECT SUM(NOT s.counted AND NOT s.withdrawn AND s.wait_us > 0) FROM setback s WHERE s.row = r.row), 0)
           AS throttled,
       COALESCE((SELECT MAX(s.maybe_applied) FROM setback s WHERE s.row = r.row), 0) AS doubted,
       EXISTS (SELECT 1 FROM intent i WHERE i.row = r.row
               AND NOT EXISTS (SELECT 1 FROM setback s WHERE s.row = i.row AND s.attempt = i.attempt)) AS open,
       1 + (SELECT COUNT(*) FROM row f WHERE f.lead = r.row) AS copies
FROM row r
WHERE r.row BETWEEN :first AND :last
  AND r.lead IS NULL
  AND NOT EXISTS (SELECT 1 FROM outcome o WHERE o.row = r.row)
ORDER BY r.row
