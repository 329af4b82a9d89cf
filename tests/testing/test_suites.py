"""All suites have one shape, and all ``check_...`` functions report every failure."""

import inspect

import pytest

from heron.errors import ContractError
from heron.messaging import InMemoryBroker
from heron.testing import BATCH_ENV_CHECKS, BROKER_CHECKS, ENV_CHECKS, VIEW_CHECKS, check_broker
from heron.testing.findings import name_of, promise_of

SUITES = {"batch_env": BATCH_ENV_CHECKS, "broker": BROKER_CHECKS, "env": ENV_CHECKS, "view": VIEW_CHECKS}


@pytest.mark.parametrize("checks", SUITES.values(), ids=SUITES)
def test_a_suite_is_a_tuple_of_named_checks(checks):
    assert isinstance(checks, tuple)
    assert len({name_of(check) for check in checks}) == len(checks) > 5
    for check in checks:
        assert check.__name__ == f"check_{name_of(check)}"
        assert promise_of(check) not in ("", name_of(check))
        make, option = inspect.signature(check).parameters.values()
        assert make.default is inspect.Parameter.empty
        assert option.default is not inspect.Parameter.empty


class ForgetsMessages(InMemoryBroker):
    def publish(self, channel_name, message):
        """Publish nothing."""

    def clear_environment(self, env_id):
        raise RuntimeError(f"cannot clear {env_id}")


def test_check_broker_reports_every_failure():
    with pytest.raises(ContractError) as caught:
        check_broker(ForgetsMessages)

    found = {finding.check for finding in caught.value.findings}
    assert {"message_arrives_as_sent", "consumed_once"} <= found
    assert any("RuntimeError: cannot clear env_" in finding.detail for finding in caught.value.findings)
    assert all(f"- {name}: " in str(caught.value) for name in found)
