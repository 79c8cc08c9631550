-- serves: 9
-- What job documents call for each job. A function in SQL that holds a query is planned anew by every statement that calls
-- it, which took most of a document's time; PL/pgSQL keeps its plans for the session, and a job that is no pipeline, as
-- most are, has nothing to ask its children.

create or replace function job_state_shown(j jobs) returns text language plpgsql stable as $$
begin
  if j.kind <> 'pipeline' or j.state <> 'blocked' then return shown_state(j.state); end if;
  return case when exists (select from jobs c where c.parent_id = j.id and c.started_at is not null)
              then 'running' else 'queued' end;
end $$;

create or replace function job_progress(j jobs) returns jsonb language plpgsql stable as $$
begin
  if j.kind = 'pipeline' then
    return (select jsonb_build_object('step', count(*) filter (where c.state = 'succeeded'), 'total', count(*), 'eta_s', null)
            from jobs c where c.parent_id = j.id);
  end if;
  return jsonb_build_object('step', j.step, 'total', j.total, 'eta_s',
    case when j.state = 'running' and j.step > coalesce(j.resumed_from, 0) and j.total >= j.step then
      round((extract(epoch from clock_timestamp() - j.started_at) * (j.total - j.step)
             / (j.step - coalesce(j.resumed_from, 0)))::numeric, 1) end);
end $$;

-- Only a pipeline is a parent.
create or replace function job_version(j jobs) returns bigint language plpgsql stable as $$
begin
  if j.kind <> 'pipeline' then return j.version; end if;
  return j.version + coalesce((select sum(c.version) from jobs c where c.parent_id = j.id), 0)::bigint;
end $$;
