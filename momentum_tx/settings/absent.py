"""
Options of Momentum for outbound mail that are not here, and why.

Who brings one takes it off the list; a test compares.
"""

from types import MappingProxyType
from typing import Final

_CLUSTER: Final = "there is one node, no cluster"
_OTHER_METHODS: Final = "nothing but ESMTP, SMTP and LMTP is spoken"
_LATER: Final = "not in this version"
_ALWAYS_POOLED: Final = "there is one event loop"
_ONE_BY_ONE: Final = "recipients are refused one by one before DATA, so that whoever injects knows of each"
_BOUNCES_IN: Final = "bounces that come in are mail like any other"
_SIGNING: Final = "mail is signed where there is a dkim table for the domain of its From field"

#: By name: why it is not here, and what there is instead, as the end of a sentence.
ABSENT: Final = MappingProxyType(
    {
        # Timeouts.
        "delivery_response_timeout": _OTHER_METHODS,
        "ecstream_timeout": _OTHER_METHODS,
        "control_client_timeout": "there is no console; use the command momentum-tx and hooks",
        # Limits.
        "cluster_max_outbound_connections": f"{_CLUSTER}; use max_outbound_connections",
        "cluster_server_max_outbound_connections": f"{_CLUSTER}; use server_max_outbound_connections",
        "cluster_scope_max_outbound_connections": f"{_CLUSTER}; use scope_max_outbound_connections",
        "cluster_outbound_throttle_connections": f"{_CLUSTER}; use outbound_throttle_connections",
        "cluster_outbound_throttle_messages": f"{_CLUSTER}; use outbound_throttle_messages",
        "expensive_batch_assessment": "recipients of one reception always share their content and go together",
        # Retries.
        "clear_mail_queue_maintainers": "a domain never has more than one maintainer",
        "inline_transfail_processing": "transient failures are always settled at once",
        "transfail_drain_rate": "transient failures are always settled at once",
        "max_resident_transfails": "transient failures are always settled at once",
        # Routing and DNS.
        "ecstream_port": _OTHER_METHODS,
        "hot_domains": _ALWAYS_POOLED,
        "only_use_best_mx_for_relay_domains": "no domain is a relay domain; use routes",
        "dns_expire_interval": "what has expired is looked up when it is needed",
        "dns_cache_purge_interval": "answers leave the cache by age and number; use dns_cache_size",
        "dns_fallback_to_tcp": "a truncated answer is always asked for again over TCP",
        "address_metrics_cleanse_interval": "use address_metrics_lifetime",
        # Features of SMTP.
        "use_sendfile": "content is read in threads and written by the reactor",
        "use_mmap": "content is read in threads and written by the reactor",
        "opendkim": f'{_SIGNING}; use [dkim."example.com"] and the hook dkim_sign',
        "opendkim_sign": _SIGNING,
        "dkim_sign": _SIGNING,
        "domainkeys": "DomainKeys was given up for DKIM, and nobody verifies it; use dkim tables",
        "enable_fbl_header_insertion": "fields are added before mail is handed over",
        "outbound_smtp_auth_pass": "no secret is written into a configuration; use outbound_smtp_auth_pass_file",
        "outbound_smtp_auth_key": "no secret is written into a configuration; use outbound_smtp_auth_pass_file",
        # TLS.
        "tls_fallback_always_new_connection": (
            "after a refused STARTTLS the session goes on in clear, after a failed handshake a new one begins"
        ),
        "tls_engine": "TLS is OpenSSL's",
        "tls_ec_curve_names": "OpenSSL's defaults hold",
        "tls_dhparams_file": "OpenSSL's defaults hold",
        "tls_enable_dhe_ciphers": "OpenSSL's defaults hold",
        "tlsa_expire_interval": "TLSA records leave the cache by age and number; use dns_cache_size",
        # Bounces.
        "generate_bounces_for_multi_recipient_policy_rejections": _ONE_BY_ONE,
        "bounce_domains": _BOUNCES_IN,
        "bounce_pattern": _BOUNCES_IN,
        "bounce_suppress_list": _BOUNCES_IN,
        "bounce_behavior": _BOUNCES_IN,
        # Memory, spool, process.
        "spoolbase": "use state_dir; the spool is spool/ under it",
        "spool_mode": "the spool is readable by its owner alone",
        "force_fsync": 'nothing is answered before it is synced; use durability = "unsafe" where it may be',
        "memory_goal": "bodies in memory have a bound of their own; use body_cache_size",
        "memory_hwm": "bodies in memory have a bound of their own; use body_cache_size",
        "mail_queue_check_vm_interval": "bodies in memory have a bound of their own; use body_cache_size",
        "keep_message_dicts_in_memory": "what the queues look at always stays in memory",
        "exclude_vctx_conn": "messages have traits, no context dictionaries",
        "exclude_vctx_mess": "messages have traits, no context dictionaries",
        "swap_out_meta_after_each_tempfail": "every failure is written down",
        "disk_queue_drain_rate": "the spool is read in slices that leave room for the rest",
        "unlink_on_spool_in_failure": "what cannot be read is kept and told of",
        "suppress_spool": "everything is spooled before it is answered",
        "_unsafe_spool": 'everything is spooled before it is answered; use durability = "unsafe" for speed at a risk',
        "large_message_threshold": "content of every size goes the same way",
        "log_hires_timestamp": "times in the logs have the precision their format has",
        "timestampformat": "Twisted writes the log of the process",
        "debug_flags": "there are no debug levels; use hooks, and the virtual world of momentum_tx.testing",
        "eventloop": _ALWAYS_POOLED,
        "event_loop": _ALWAYS_POOLED,
        "delivery_pool": _ALWAYS_POOLED,
        "maintainer_pool": _ALWAYS_POOLED,
        "max_timed_events_per_iter": "the reactor runs timers when they are due",
        "permastore_interval": "no statistics outlive the process",
        "masterdb_file": "no statistics outlive the process",
        "match_cache_size": "what regexes decide is remembered for as long as the configuration holds",
        "match_cache_life": "what regexes decide is remembered for as long as the configuration holds",
        "enable_duravip": f"{_CLUSTER}; an address may move, see binding_auto_replumb",
        "duravip_preference": f"{_CLUSTER}; an address may move, see binding_auto_replumb",
    }
)
