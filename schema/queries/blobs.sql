-- Bulk bytes.

-- No wait for the disk here: a blob is reachable only through a row committed later, and that commit syncs the log up to
-- itself, this blob's part included. After a crash in between, the row's foreign key finds no blob.
-- name: blob_create
insert into blobs (size_bytes, sha256) values ($1, $2) returning id, set_config('synchronous_commit', 'off', true)

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
