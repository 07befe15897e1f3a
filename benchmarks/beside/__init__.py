"""Visor beside etcd, ZooKeeper, NATS and Valkey, as a Python program sees them: `python -m benchmarks beside`.

`peers` says what each needs and how it is started, `clients` how it is asked, `load` asks it in a process of its own,
`raw` keeps what came of it, `ranking` and `page` say it with what Visor loses first.
"""
