-- One line an input row of a range that has secrets, in input order, with the versions that its last PATCH carried, by path.
SELECT r.row,
       r.credential,
       (SELECT json_group_array(json_array(v.path, v.reference, v.version))
        FROM (SELECT v.path, v.reference, v.version FROM resolved v
              WHERE v.row = COALESCE(r.lead, r.row)
                AND v.attempt = (SELECT MAX(i.attempt) FROM intent i
                                 WHERE i.row = v.row AND i.stage = 'patch'
                                   AND NOT EXISTS (SELECT 1 FROM setback s WHERE s.row = i.row
                                                   AND s.attempt = i.attempt AND s.withdrawn))
              ORDER BY v.path) v)
FROM row r
WHERE r.credential IS NOT NULL AND r.row BETWEEN :first AND :last
ORDER BY r.row
