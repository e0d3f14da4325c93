-- Containers that were there
--
-- Group: Containers
-- Question: Which containers were there?
-- Tables: container
-- Columns:
--   what          VARCHAR   -   name of the container, else its id or host name, and its image
--   recording_id  VARCHAR   -   recording
-- Parameters: none
-- Caveats: A container that has another id each time, and no name, is another one each time.
SELECT DISTINCT concat(coalesce(name, container_id, nodename), CASE WHEN image IS NOT NULL THEN concat(' ', image) ELSE '' END) AS what, recording_id
FROM container
ORDER BY recording_id, what
