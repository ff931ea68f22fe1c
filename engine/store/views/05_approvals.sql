CREATE OR REPLACE VIEW approvals AS
SELECT
    seq,
    ts_us,
    session_id,
    kind,
    actor_name AS person,
    actor_proof AS proof,
    coalesce(data ->> '$.purpose', CASE WHEN kind LIKE 'go.%' THEN 'go' WHEN kind = 'latch.released' THEN 'release' END) AS purpose,
    coalesce(data ->> '$.role', CASE kind WHEN 'go.signed' THEN 'operator' WHEN 'go.decided' THEN 'reviewer' END) AS role,
    data ->> '$.decision' AS decision,
    data ->> '$.fingerprint' AS fingerprint,
    data ->> '$.code' AS code,
    data ->> '$.reason' AS reason,
    coalesce(
        data ->> '$.packet_sha256', data ->> '$.report_sha256', data ->> '$.tagmanifest_sha256', data ->> '$.document_sha256'
    ) AS document_sha256
FROM events
WHERE kind IN (
    'go.requested', 'go.signed', 'go.decided', 'go.voided', 'approval.refused', 'recon.signed', 'pack.signed', 'latch.released',
    'dual.requested', 'dual.signed', 'dual.granted', 'dual.refused', 'dual.withdrawn'
);
