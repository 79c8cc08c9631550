-- Bulk bytes.

-- No wait for the disk where a blob is committed by itself ($3): it is reachable only through a row committed later, and
-- that commit syncs the log up to itself, this blob's part included. After a crash in between, the row's foreign key finds
-- no blob. Where that row is part of the transaction, the commit waits as ever.
-- name: blob_create
insert into blobs (size_bytes, sha256) values ($1, $2)
returning id, case when $3 then set_config('synchronous_commit', 'off', true) end

-- name: blob_chunk_put
insert into blob_chunks (blob_id, no, bytes) values ($1, $2, $3)

-- name: blob_seal
update blobs set size_bytes = $2, sha256 = $3 where id = $1

-- name: blob_size
select size_bytes from blobs where id = $1

-- name: blob_chunk_get
select bytes from blob_chunks where blob_id = $1 and no = $2

-- name: blob_discard
delete from blobs where id = any($1::bigint[]) and not attached
