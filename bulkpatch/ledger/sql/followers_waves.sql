-- A row that shares the request of a row before it goes where that one goes.
UPDATE row SET wave = (SELECT l.wave FROM row l WHERE l.row = row.lead) WHERE lead IS NOT NULL
