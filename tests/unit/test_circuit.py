"""When a service that fails is left alone."""

import pytest

from processors.circuit import Circuit, CircuitState

REST_SECS = 30.0


@pytest.fixture
def circuit() -> Circuit:
    return Circuit(failures=3, rest_secs=REST_SECS)


@pytest.fixture
def opened(circuit: Circuit) -> Circuit:
    """One that was opened at 100."""
    circuit.failed(100.0, lasting=True)
    return circuit


class TestAClosedCircuit:
    def test_gives_the_service_work(self, circuit: Circuit) -> None:
        assert circuit.state is CircuitState.CLOSED
        assert circuit.admit(0.0)

    def test_is_opened_by_some_failures_in_a_row(self, circuit: Circuit) -> None:
        circuit.failed(1.0)
        circuit.failed(2.0)
        assert circuit.admit(2.0)
        circuit.failed(3.0)
        assert circuit.state is CircuitState.OPEN

    def test_forgets_failures_at_the_first_success(self, circuit: Circuit) -> None:
        circuit.failed(1.0)
        circuit.failed(2.0)
        circuit.succeeded()
        circuit.failed(3.0)
        assert circuit.state is CircuitState.CLOSED

    def test_is_opened_at_once_by_a_failure_that_lasts(self, circuit: Circuit) -> None:
        circuit.failed(1.0, lasting=True)
        assert not circuit.admit(1.0)


class TestAnOpenCircuit:
    def test_gives_no_work_until_the_service_has_rested(self, opened: Circuit) -> None:
        assert not opened.admit(100.0 + REST_SECS - 0.1)
        assert opened.state is CircuitState.OPEN

    def test_lets_one_try_through_then(self, opened: Circuit) -> None:
        assert opened.admit(100.0 + REST_SECS)
        assert opened.state is CircuitState.HALF_OPEN
        assert not opened.admit(100.0 + REST_SECS)

    def test_is_closed_by_a_success_of_whoever_went_round_it(self, opened: Circuit) -> None:
        opened.succeeded()
        assert opened.state is CircuitState.CLOSED


class TestAHalfOpenCircuit:
    @pytest.fixture
    def tried(self, opened: Circuit) -> Circuit:
        """One with a try since 130."""
        assert opened.admit(130.0)
        return opened

    def test_is_closed_by_a_success(self, tried: Circuit) -> None:
        tried.succeeded()
        assert tried.state is CircuitState.CLOSED

    def test_is_opened_by_a_single_failure(self, tried: Circuit) -> None:
        tried.failed(131.0)
        assert tried.state is CircuitState.OPEN
        assert not tried.admit(131.0 + REST_SECS - 0.1)
        assert tried.admit(131.0 + REST_SECS)

    def test_lets_another_try_at_once_where_one_was_given_up(self, tried: Circuit) -> None:
        tried.given_up()
        assert tried.admit(131.0)

    def test_lets_another_try_when_nothing_is_heard_of_one(self, tried: Circuit) -> None:
        assert not tried.admit(130.0 + REST_SECS - 0.1)
        assert tried.admit(130.0 + REST_SECS)


class TestCallsOfOtherProcesses:
    def test_leave_a_service_alone_that_was_found_broken_here(self, opened: Circuit) -> None:
        other = Circuit(failures=3, rest_secs=REST_SECS)
        other.recall(opened.record)
        assert not other.admit(100.0 + REST_SECS / 2)
        assert other.admit(100.0 + REST_SECS)

    def test_go_on_counting_its_failures(self, circuit: Circuit) -> None:
        circuit.failed(1.0)
        circuit.failed(2.0)
        other = Circuit(failures=3, rest_secs=REST_SECS)
        other.recall(circuit.record)
        other.failed(3.0)
        assert other.state is CircuitState.OPEN

    def test_give_it_work_again_when_it_was_found_well_here(self, opened: Circuit) -> None:
        other = Circuit(failures=3, rest_secs=REST_SECS)
        other.recall(opened.record)
        opened.admit(100.0 + REST_SECS)
        opened.succeeded()
        other.recall(opened.record)
        assert other.state is CircuitState.CLOSED
