-- Why attempts ended without settling their row; one that was withdrawn never left.
SELECT code, http_status, COUNT(*), COUNT(DISTINCT row)
FROM setback
WHERE NOT withdrawn
GROUP BY code, http_status
ORDER BY 3 DESC, code, http_status
