"""The evidence package: a message with all that proves what became of it, verifiable offline (GWT-90, SND-101).

Members of the ZIP file:

| Path | Role |
|---|---|
| `messages/<copy>.eml` | `message`: as handed over to the provider, byte for byte |
| `evidence/<evidence>.eml` | `evidence`: the provider's confirmation as received, byte for byte |
| `reports/<evidence>.json` | `report`: its verification, made at arrival (GWT-91) |
| `certificates/<sha256>.der`, `crls/<sha256>.crl` | `certificate`, `crl`: what the verification rests on |
| `message.json`, `events.json`, `journal.json` | `metadata`, `events`, `journal` |
| `manifest.json`, `manifest.json.p7s` | the list with SHA-256 of each member, and the installation's CMS signature |

The same material gives the same octets, but for the signature's time.
"""
