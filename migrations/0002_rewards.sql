-- Trajectories may have no rewards, and then have no return. Builds of before notice once such a trajectory is uploaded:
-- jobs on its dataset fail there with bad_data.
-- serves: 1
alter table trajectories alter column return drop not null;
comment on column trajectories.return is 'Undiscounted sum of rewards, float64; null without rewards';
