-- After PostgreSQL has been restored from a backup (docs/backup.md): publish every monitor and every API key again, so
-- that the services that follow them in Kafka have what this database has. Run it while incidents is stopped.
BEGIN;
-- Versions of monitors are append-only to everybody else.
SET LOCAL session_replication_role = replica;
UPDATE incidents.monitor_version AS each
   SET published_at = NULL
 WHERE version = (SELECT max(version) FROM incidents.monitor_version WHERE model_id = each.model_id);
UPDATE incidents.api_key SET published_at = NULL;
COMMIT;
