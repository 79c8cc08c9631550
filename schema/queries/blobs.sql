-- Bulk bytes.

-- name: blob_create
insert into blobs (size_bytes, sha256) values ($1, $2) returning id

-- name: blob_chunk_put
insert into blob_chunks (blob_id, no, bytes) values ($1, $2, $3)

-- name: blob_seal
update blobs set size_bytes = $2, sha256 = $3 where id = $1

-- name: blob_size
select size_bytes from blobs where id = $1

-- name: blob_chunk_get
select bytes from blob_chunks where blob_id = $1 and no = $2
