-- What left and what came to nothing, by interval; an intent that was withdrawn never left.
SELECT at_us / :width_us * :width_us, SUM(sends), SUM(setbacks), SUM(throttled)
FROM (
    SELECT i.at_us, 1 AS sends, 0 AS setbacks, 0 AS throttled
    FROM intent i LEFT JOIN setback s ON s.row = i.row AND s.attempt = i.attempt
    WHERE COALESCE(s.withdrawn, 0) = 0
    UNION ALL
    SELECT at_us, 0, 1, COALESCE(http_status = 429, 0) FROM setback WHERE NOT withdrawn
)
GROUP BY 1
ORDER BY 1
