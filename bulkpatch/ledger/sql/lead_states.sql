-- Rows that have a request of their own, counted by their outcome and by what was settled later; without either, by
-- whether an intent has no answer. Each table is gone through once: to look every row up costs three times as much.
-- The rows themselves are counted, and not an index of them: where the file is damaged, that is to be noticed.
WITH told (state, settled, number) AS (
    SELECT o.state, t.state, COUNT(*) FROM outcome o LEFT JOIN settlement t ON t.row = o.row GROUP BY 1, 2
    UNION ALL
    SELECT 'in_flight', t.state, COUNT(DISTINCT i.row)
    FROM intent i
    LEFT JOIN settlement t ON t.row = i.row
    WHERE NOT EXISTS (SELECT 1 FROM outcome o WHERE o.row = i.row)
      AND NOT EXISTS (SELECT 1 FROM setback s WHERE s.row = i.row AND s.attempt = i.attempt)
      AND NOT EXISTS (SELECT 1 FROM passed p WHERE p.row = i.row AND p.attempt = i.attempt)
    GROUP BY 2
)
SELECT * FROM told
UNION ALL
SELECT 'pending', NULL,
       (SELECT COUNT(*) FROM row NOT INDEXED WHERE lead IS NULL) - (SELECT COALESCE(SUM(number), 0) FROM told)
