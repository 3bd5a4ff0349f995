-- Exact edges stand before the payload, so that testing them never walks into overflow pages.
CREATE TABLE objects(
    rowid INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    valid_from INTEGER NOT NULL,
    minx REAL NOT NULL, maxx REAL NOT NULL, miny REAL NOT NULL, maxy REAL NOT NULL,
    payload BLOB NOT NULL
);
CREATE VIRTUAL TABLE places USING rtree(rowid, minx, maxx, miny, maxy);
CREATE TABLE objects_history(
    rowid INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    valid_from INTEGER NOT NULL, valid_to INTEGER NOT NULL,
    minx REAL NOT NULL, maxx REAL NOT NULL, miny REAL NOT NULL, maxy REAL NOT NULL,
    payload BLOB NOT NULL
);
CREATE VIRTUAL TABLE history_places USING rtree(rowid, minx, maxx, miny, maxy);

CREATE TRIGGER remember AFTER UPDATE ON objects BEGIN
    INSERT INTO objects_history(id, valid_from, valid_to, minx, maxx, miny, maxy, payload)
        VALUES (OLD.id, OLD.valid_from, NEW.valid_from,
                OLD.minx, OLD.maxx, OLD.miny, OLD.maxy, OLD.payload);
    INSERT INTO history_places
        VALUES (last_insert_rowid(), OLD.minx, OLD.maxx, OLD.miny, OLD.maxy);
END;
CREATE TRIGGER move AFTER UPDATE OF minx, maxx, miny, maxy ON objects
WHEN (OLD.minx, OLD.maxx, OLD.miny, OLD.maxy) IS NOT (NEW.minx, NEW.maxx, NEW.miny, NEW.maxy)
BEGIN
    UPDATE places SET minx = NEW.minx, maxx = NEW.maxx, miny = NEW.miny, maxy = NEW.maxy
        WHERE rowid = NEW.rowid;
END;
