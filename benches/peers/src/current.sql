-- The R*Tree stores 32-bit edges rounded outward: the exact ones are tested again.
SELECT o.id, o.valid_from, o.payload
FROM places p CROSS JOIN objects o ON o.rowid = p.rowid
WHERE p.maxx >= ?1 AND p.minx <= ?2 AND p.maxy >= ?3 AND p.miny <= ?4
  AND o.maxx >= ?1 AND o.minx <= ?2 AND o.maxy >= ?3 AND o.miny <= ?4
