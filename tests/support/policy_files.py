"""Files that tests of the policy language share: a good site to spoil, and a policy that says everything there is to say."""

GOOD = """\
site: 1
access_networks:
  - {name: lte, type: cellular, prefixes: [10.1.0.0/24, fd00:1::/64], ports: [s1:1]}
  - {name: wlan, type: wlan, trust: third-party, prefixes: [10.2.0.0/24], ports: [s2:1]}
gateways:
  - {name: internet, prefixes: [10.9.0.0/24], ports: [s4:1]}
mcps:
  - {name: core, type: off-path, port: s3:1, addresses: [10.8.0.2, fd00:8::2], source_mode: transparent}
"""

EVERYTHING = """\
policy: 1
refusal: drop
over_limit: refuse
third_party_pooling: true
keep_keys: true
marker: {source_ports: ["50000-50100", 49152]}
distribution: overflow
selection: {weights: {load: 3}}
quotas: {sessions_per_subscriber: 100}
classes: [{name: business, quotas: {sessions_per_subscriber: 50}, distribution: active-backup}]
subscribers:
  - {id: s-1, class: business, prefixes: [10.1.0.16/28, "fd00:1::7"], quotas: {sessions_per_mcp: 0}, distribution: lowest-rtt}
applications:
  - {name: web, ports: [443, 80, "8000-8080"], destinations: 10.9.0.0/24}
rules:
  - name: all-conditions
    when:
      subscriber: s-1
      class: [business, default]
      application: web
      source: 10.1.0.0/16
      access: [lte, wlan]
      access_type: cellular
      trust: operator
      destination: [10.9.0.1, 10.9.0.0/24]
      port: [443, "440-450"]
      dscp: [46, AF41, cs1]
      ip_version: 4
      mptcp_version: [0, 1]
      time: {days: [mon-fri, sun], from: "17:00", to: 1:30}
      direction: host
    then:
      action: proxy
      mode: hybrid
      expectation: continuity
      mcps: core
      weights: {location: 2}
      hysteresis: 0.5
      max_stretch: 3
      fallback: fail-closed
      usage_mode: native
      pooling: {allowed: [wlan, cellular], preferred: [wlan, cellular], quota_bytes: {cellular: 1000000}}
      ratio: {wlan: 3, lte: 1}
      quotas: {subflows_per_session: 2, sessions_per_server: 10}
      authentication: hmac
      transports: tcp
      terminate_only: proxied
  - {name: rest, then: {action: deny}}
"""
