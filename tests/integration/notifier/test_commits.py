"""What the combiner has committed, read in a real Kafka."""

from __future__ import annotations

from datetime import timedelta
from secrets import token_hex

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from sentryml_common.contracts.topics import COMBINER_GROUP, PREDICTIONS
from sentryml_common.health import Health
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.settings import KafkaSettings
from sentryml_notifier.domain.system_alerts import commits as rules
from sentryml_notifier.system_alerts.commits import CommitWatch
from tests.integration.notifier.conftest import TestClock


async def test_commits_of_the_newest_incarnation_are_watched(kafka_bootstrap: str) -> None:
    settings = KafkaSettings(kafka_bootstrap=kafka_bootstrap, topic_prefix=f"{token_hex(6)}.")
    await ensure_topics(settings, Health(), (PREDICTIONS,))
    topic, clock = settings.prefixed(PREDICTIONS.name), TestClock()
    watch, partition = CommitWatch(clock), TopicPartition(topic, 0)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    ends = AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await ends.start()
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)
    await producer.start()
    try:
        await watch.check(admin, ends, settings)
        assert watch.stands == {}, "no combiner has committed anything yet"
        for epoch, offset in ((9, 1), (10, 2)):
            group = settings.prefixed(f"{COMBINER_GROUP}.epoch-{epoch}")
            combiner = AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap, group_id=group, enable_auto_commit=False)
            await combiner.start()
            combiner.assign([partition])
            await combiner.commit({partition: offset})
            await combiner.stop()
        await watch.check(admin, ends, settings)
        assert watch.stands == {0: rules.Stand(2, clock.now, 0)}
        for _ in range(rules.MOST_UNCOMMITTED + 1):
            await producer.send(topic, b"{}", partition=0)
        await producer.flush()
        clock.now += timedelta(minutes=31)
        await watch.check(admin, ends, settings)
        assert watch.stalled_since == clock.now - timedelta(minutes=31)
    finally:
        await producer.stop()
        await ends.stop()
        await admin.close()
