-- When the requests that may have left since a moment, by either clock, were answered, at the latest; an intent that was
-- withdrawn never left. Those without an answer come last. An answer has the wall clock's time alone: the monotonic
-- one's is its intent's, and what passed by the wall clock since.
SELECT at_us, at_s, sent_s
FROM (SELECT answered_us AS at_us, sent_s + (answered_us - sent_us) / 1e6 AS at_s, sent_s, withdrawn
      FROM (SELECT i.at_us AS sent_us, i.at_s AS sent_s, COALESCE(s.at_us, p.at_us, o.at_us) AS answered_us,
                   COALESCE(s.withdrawn, 0) AS withdrawn
            FROM intent i
            LEFT JOIN setback s ON s.row = i.row AND s.attempt = i.attempt
            LEFT JOIN passed p ON p.row = i.row AND p.attempt = i.attempt
            LEFT JOIN outcome o ON o.row = i.row AND o.attempt = i.attempt))
WHERE NOT withdrawn AND (at_us IS NULL OR at_us >= :since_us OR at_s >= :since_s)
ORDER BY at_us NULLS LAST, at_s
