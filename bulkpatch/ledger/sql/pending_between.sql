-- Rows without an outcome, with what their attempts came to. A follower is its lead's matter.
-- Attempts that were counted are those of the stage that comes next: verify once the patch passed, else patch.
WITH pending AS (
    SELECT r.*, (SELECT p.stage FROM passed p WHERE p.row = r.row ORDER BY p.attempt DESC LIMIT 1) AS passed
    FROM row r
    WHERE r.row BETWEEN :first AND :last
      AND (:wave IS NULL OR r.wave = :wave)
      AND r.lead IS NULL
      AND NOT EXISTS (SELECT 1 FROM outcome o WHERE o.row = r.row)
)
SELECT r.row,
       r.destination_id,
       r.digest,
       COALESCE((SELECT MAX(i.attempt) FROM intent i WHERE i.row = r.row), 0) AS attempt,
       COALESCE((SELECT SUM(s.counted) FROM setback s WHERE s.row = r.row
                 AND s.stage = CASE r.passed WHEN 'patch' THEN 'verify' ELSE 'patch' END), 0) AS tried,
       COALESCE((SELECT SUM(s.code = 'BP406') FROM setback s WHERE s.row = r.row
                 AND s.stage = CASE r.passed WHEN 'patch' THEN 'verify' ELSE 'patch' END), 0) AS throttled,
       COALESCE((SELECT MAX(s.maybe_applied) FROM setback s WHERE s.row = r.row AND s.stage = 'patch'), 0) AS doubted,
       open.attempt IS NOT NULL AS open,
       open.stage AS open_stage,
       r.passed,
       1 + (SELECT COUNT(*) FROM row f WHERE f.lead = r.row) AS copies,
       r.wave,
       g.vendor,
       g.recipient_id,
       g.updated_at,
       g.digest AS live_digest
FROM pending r
LEFT JOIN sight g ON g.row = r.row
LEFT JOIN intent open ON open.row = r.row
     AND open.attempt = (SELECT MAX(i.attempt) FROM intent i WHERE i.row = r.row)
     AND NOT EXISTS (SELECT 1 FROM setback s WHERE s.row = open.row AND s.attempt = open.attempt)
     AND NOT EXISTS (SELECT 1 FROM passed p WHERE p.row = open.row AND p.attempt = open.attempt)
ORDER BY r.row
