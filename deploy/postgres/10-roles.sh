#!/bin/sh
# Run once by the PostgreSQL image when it makes its data directory: owner and application role of the gateway.
# The application role owns nothing and is bound by row-level security; the owner serves migrations alone.
set -eu
owner_password=$(cat /run/secrets/owner_password)
app_password=$(cat /run/secrets/app_password)
psql -v ON_ERROR_STOP=1 -q -U "$POSTGRES_USER" -d "$POSTGRES_DB" \
  -v owner_password="$owner_password" -v app_password="$app_password" -v database="$POSTGRES_DB" <<'SQL'
CREATE ROLE demail_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'owner_password';
CREATE ROLE demail_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'app_password';
ALTER DATABASE :"database" OWNER TO demail_owner;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO demail_owner, demail_app;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO demail_app;
SQL
