-- When requests left since a moment, by either clock; an intent that was withdrawn never did.
SELECT i.at_us, i.at_s
FROM intent i LEFT JOIN setback s ON s.row = i.row AND s.attempt = i.attempt
WHERE (i.at_us >= :since_us OR i.at_s >= :since_s) AND COALESCE(s.withdrawn, 0) = 0
ORDER BY i.at_us, i.at_s
