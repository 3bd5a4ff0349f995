SELECT o.id, o.valid_from, o.payload
FROM places p CROSS JOIN objects o ON o.rowid = p.rowid
WHERE p.maxx >= ?1 AND p.minx <= ?2 AND p.maxy >= ?3 AND p.miny <= ?4
  AND o.maxx >= ?1 AND o.minx <= ?2 AND o.maxy >= ?3 AND o.miny <= ?4
  AND o.valid_from <= ?5
UNION ALL
SELECT h.id, h.valid_from, h.payload
FROM history_places p CROSS JOIN objects_history h ON h.rowid = p.rowid
WHERE p.maxx >= ?1 AND p.minx <= ?2 AND p.maxy >= ?3 AND p.miny <= ?4
  AND h.maxx >= ?1 AND h.minx <= ?2 AND h.maxy >= ?3 AND h.miny <= ?4
  AND h.valid_from <= ?5 AND h.valid_to > ?5
