-- After PostgreSQL has been restored from a backup (docs/backup.md): publish every monitor, reference and API key again, so
-- that the services that follow them in Kafka have what this database has. Run it while incidents is stopped.
BEGIN;
-- Each monitor as it is, with its normal time; of a deleted model the deletion.
INSERT INTO incidents.monitor_message (model_id, message)
SELECT model_id, newest.settings || jsonb_build_object(
         'model_id', model_id, 'version', newest.version, 'kept_since', newest.kept_since, 'normal_time', normal_time)
  FROM incidents.monitor_version AS newest LEFT JOIN incidents.monitor USING (model_id)
 WHERE newest.version = (SELECT max(version) FROM incidents.monitor_version WHERE model_id = newest.model_id)
 ORDER BY model_id;
-- The reference of each monitor that has one.
INSERT INTO incidents.reference_message (model_id, message)
SELECT model_id, message
  FROM incidents.monitor JOIN incidents.reference USING (model_id)
 WHERE reference_id = (normal_time ->> 'reference_id')::uuid
 ORDER BY model_id;
UPDATE incidents.api_key SET published_at = NULL;
COMMIT;
