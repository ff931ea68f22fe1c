-- How many events of each kind name a session, below a sequence number.
SELECT kind, count(*) AS events
FROM events
WHERE session_id = $session_id AND seq < $until_seq
GROUP BY kind
ORDER BY kind
