-- What left and what came to nothing, by interval; an intent that was withdrawn never left.
-- An intent is on record before its turn comes; when its request left is told by the answer and how long that took.
SELECT MAX(at_us, 0) / :width_us * :width_us, SUM(sends), SUM(setbacks), SUM(throttled)
FROM (
    SELECT COALESCE(s.at_us - s.latency_us, p.at_us - p.latency_us, o.at_us - o.latency_us, i.at_us) AS at_us,
           1 AS sends, 0 AS setbacks, 0 AS throttled
    FROM intent i
    LEFT JOIN setback s ON s.row = i.row AND s.attempt = i.attempt
    LEFT JOIN passed p ON p.row = i.row AND p.attempt = i.attempt
    LEFT JOIN outcome o ON o.row = i.row AND o.attempt = i.attempt
    WHERE COALESCE(s.withdrawn, 0) = 0
    UNION ALL
    SELECT at_us, 0, 1, COALESCE(http_status = 429, 0) FROM setback WHERE NOT withdrawn
)
GROUP BY 1
ORDER BY 1
