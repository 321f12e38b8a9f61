-- What left, or was about to, when a process ended: its answers went with it.
SELECT i.row, i.attempt, i.stage, i.at_us, i.at_s
FROM intent i
WHERE NOT EXISTS (SELECT 1 FROM outcome o WHERE o.row = i.row)  -- first: it leaves the fewest
  AND NOT EXISTS (SELECT 1 FROM setback s WHERE s.row = i.row AND s.attempt = i.attempt)
  AND NOT EXISTS (SELECT 1 FROM passed p WHERE p.row = i.row AND p.attempt = i.attempt)
ORDER BY i.row
