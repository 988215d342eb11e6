"""What mail promises: consumed once, cancelled in time, due in order, held back behind a failure, buried in the end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perdure.durable.records import Address, Creation, Mail, MailCounts
from perdure.durable.store import Store
from perdure.errors import InstanceExists, MailGone, SequenceConflict, StoreError
from perdure.testing.store_contract.binding import StoreBinding
from perdure.testing.store_contract.samples import (
    ALICE,
    BOB,
    CAROL,
    commit_at,
    create,
    ids,
    letter,
    send,
    timer,
)

__all__ = ["MailContract"]


class MailContract(StoreBinding):
    """Mail in commits, and ``due_mail``, ``next_mail_at``, ``pending_mail``, ``defer_mail``, ``bury_mail``."""

    # -- sent and consumed ---------------------------------------------------------------------------------------

    async def test_mail_is_answered_with_every_field(self, store: Store) -> None:
        creation = Mail(
            id="c",
            kind="create",
            sender=ALICE,
            target=BOB,
            due_at=1.5,
            event={"type": "xstate.init", "list": [1, {"x": None}]},
            creation=Creation(child_id="kid", context={"a": [1]}, version_id="ver_9"),
            send_id="s",
            is_delayed=True,
            is_platform=True,
            attempts=2,
            retry_at=0.5,
            last_error="busy",
            chain=7,
            trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        stop = Mail(id="s", kind="stop", sender=ALICE, target=BOB, due_at=2.5)
        await store.commit(commit_at(1, mail=[creation, stop]))
        assert await store.pending_mail(BOB) == [creation, stop]
        assert await store.due_mail(10.0, 10) == [creation, stop]

    async def test_mail_is_counted_while_it_waits_while_it_is_due_and_when_it_is_dead(self, store: Store) -> None:
        assert await store.count_mail(5.0) == MailCounts(pending=0, due=0, dead=0, oldest_due_at=None)
        await send(
            store, letter("at once"), letter("past", due_at=3.0), letter("now", due_at=5.0), letter("x", due_at=6.0)
        )
        assert await store.count_mail(5.0) == MailCounts(pending=4, due=3, dead=0, oldest_due_at=3.0)
        await store.bury_mail("past", attempts=5, at=5.0, error="no")
        assert await store.count_mail(5.0) == MailCounts(pending=3, due=2, dead=1, oldest_due_at=5.0)

    async def test_consumed_mail_is_gone_and_cannot_be_consumed_again(self, store: Store) -> None:
        await send(store, letter("m1"), letter("m2"))
        await store.commit(commit_at(1, BOB, consumed=["m1"]))
        assert ids(await store.pending_mail(BOB)) == ["m2"]
        assert ids(await store.due_mail(10.0, 10)) == ["m2"]
        with pytest.raises(MailGone):
            await store.commit(commit_at(2, BOB, consumed=["m1"]))

    async def test_mail_named_twice_in_one_commit_raises_mail_gone(self, store: Store) -> None:
        await send(store, letter("m"))
        with pytest.raises(MailGone):
            await store.commit(commit_at(1, BOB, consumed=["m", "m"]))
        assert ids(await store.pending_mail(BOB)) == ["m"]

    async def test_mail_to_another_instance_cannot_be_consumed(self, store: Store) -> None:
        await send(store, letter("m", target=BOB))
        with pytest.raises(MailGone):
            await store.commit(commit_at(1, CAROL, consumed=["m"]))
        assert ids(await store.pending_mail(BOB)) == ["m"]

    async def test_a_lost_race_is_told_as_a_conflict_even_when_the_mail_is_gone_too(self, store: Store) -> None:
        await send(store, letter("m"))
        await store.commit(commit_at(1, BOB, consumed=["m"]))
        with pytest.raises(InstanceExists):
            await store.commit(commit_at(1, BOB, consumed=["m"]))
        with pytest.raises(SequenceConflict):
            await store.commit(commit_at(3, BOB, consumed=["m"]))

    async def test_a_mail_id_in_use_is_refused_and_free_again_once_consumed(self, store: Store) -> None:
        await send(store, letter("m"))
        with pytest.raises(StoreError):
            await store.commit(commit_at(1, CAROL, mail=[letter("m", sender=CAROL)]))
        assert await store.load(CAROL) is None
        with pytest.raises(StoreError):
            await store.commit(commit_at(1, CAROL, mail=[letter("n", sender=CAROL), letter("n", sender=CAROL)]))
        await store.commit(commit_at(1, BOB, consumed=["m"], mail=[letter("m", sender=BOB, target=ALICE)]))
        assert ids(await store.pending_mail(ALICE)) == ["m"]

    # -- due, for some -------------------------------------------------------------------------------------------

    async def test_due_mail_can_be_asked_for_without_some_receivers(self, store: Store) -> None:
        await send(
            store,
            letter("to bob 1"),
            letter("to carol", target=CAROL),
            letter("to bob 2", due_at=2.0),
            letter("to alice", sender=BOB, target=ALICE, due_at=1.0),
        )
        assert ids(await store.due_mail(9.0, 10, except_to=[BOB])) == ["to carol", "to alice"]
        assert ids(await store.due_mail(9.0, 1, except_to=[BOB, CAROL])) == ["to alice"]
        assert ids(await store.due_mail(0.0, 9, except_to=[BOB])) == ["to carol"]
        elsewhere = [Address("org-b", "person", "bob"), Address("org-a", "robot", "bob")]
        assert len(await store.due_mail(9.0, 10, except_to=elsewhere)) == 4

    async def test_due_mail_can_be_asked_for_without_the_mail_that_has_no_due_time(self, store: Store) -> None:
        await send(store, letter("at once"), letter("early", due_at=1.0), letter("late", due_at=9.0))
        assert ids(await store.due_mail(5.0, 10, after=0.0)) == ["early"]
        assert ids(await store.due_mail(9.0, 10, after=0.0)) == ["early", "late"]
        assert ids(await store.due_mail(9.0, 10, after=0.0, except_to=[BOB])) == []

    async def test_mail_behind_a_failed_one_is_held_back_also_without_some_receivers(self, store: Store) -> None:
        await send(store, letter("failed", due_at=1.0), letter("behind", due_at=2.0))
        await send(store, letter("other", target=CAROL, due_at=3.0))
        await store.defer_mail("failed", attempts=1, retry_at=50.0, error="no")
        assert ids(await store.due_mail(9.0, 10, after=0.0)) == ["other"]
        assert ids(await store.due_mail(50.0, 10, except_to=[CAROL])) == ["failed", "behind"]

    # -- due soon ------------------------------------------------------------------------------------------------

    async def test_due_mail_can_be_asked_for_before_it_is_due(self, store: Store) -> None:
        await send(
            store, letter("at once"), letter("now", due_at=5.0), letter("soon", due_at=8.0), letter("later", due_at=9.0)
        )
        assert ids(await store.due_mail(5.0, 10, until=8.0)) == ["at once", "now", "soon"]
        assert ids(await store.due_mail(5.0, 10, after=0.0, until=8.0)) == ["now", "soon"]
        assert ids(await store.due_mail(5.0, 10, after=5.0, until=9.0)) == ["soon", "later"]
        assert ids(await store.due_mail(5.0, 1, after=5.0, until=9.0)) == ["soon"]
        assert ids(await store.due_mail(5.0, 10, until=0.0)) == ["at once"]

    async def test_mail_asked_for_before_it_is_due_waits_behind_what_is_not_to_be_tried_yet(self, store: Store) -> None:
        await send(store, letter("failed", due_at=1.0), letter("behind", due_at=20.0))
        await send(store, letter("other", target=CAROL, due_at=30.0))
        await store.defer_mail("failed", attempts=1, retry_at=10.0, error="no")
        assert ids(await store.due_mail(9.0, 10, until=50.0)) == ["other"]
        assert ids(await store.due_mail(10.0, 10, until=50.0)) == ["failed", "behind", "other"]

    async def test_due_mail_can_be_asked_for_without_what_is_known(self, store: Store) -> None:
        await send(store, *(letter(f"m{number}", due_at=1.0) for number in range(5)))
        assert ids(await store.due_mail(9.0, 10, except_ids=["m0", "m3", "elsewhere"])) == ["m1", "m2", "m4"]
        assert ids(await store.due_mail(9.0, 2, except_ids={"m0", "m1"})) == ["m2", "m3"]

    async def test_next_times_tells_due_times_from_times_of_further_attempts(self, store: Store) -> None:
        assert await store.next_times(0.0, due_after=0.0) == (None, None)
        await send(store, letter("a", due_at=10.0), letter("b", due_at=20.0), letter("c", due_at=30.0))
        assert await store.next_times(0.0, due_after=10.0) == (20.0, None)
        await store.defer_mail("b", attempts=1, retry_at=25.0, error="no")
        assert await store.next_times(0.0, due_after=10.0) == (30.0, 25.0)
        assert await store.next_times(25.0, due_after=30.0) == (None, None)

    async def test_times_and_texts_come_back_exactly_as_they_were(self, store: Store) -> None:
        texts = ["\x00", "\u2028", '"\\/', "\x7f", "ü", "😀", "</script>"]
        times = [0.1 + 0.2, 1.7e12 + 1 / 3, 2.0**52 + 1, 1e-7, 123456789.000001, 1 / 3, 1.0]
        mail = [
            msgspec.structs.replace(
                letter(f"m{text}", due_at=due_at), event={"type": text, text: [due_at, -1, 2**53, None]}, send_id=text
            )
            for due_at, text in sorted(zip(times, texts, strict=True))
        ]
        await send(store, *mail)
        assert await store.due_mail(1e16, 10) == mail
        assert await store.pending_mail(BOB) == mail

    async def test_an_event_as_deep_as_python_can_write_it_comes_back(self, store: Store) -> None:
        event: dict[str, Any] = {"type": "DEEP"}
        for _ in range(400):  # two levels each; Python writes a thousand, less those of its own calls
            event = {"type": "DEEP", "in": [event]}
        mail = msgspec.structs.replace(letter("deep"), event=event)
        await send(store, mail)
        assert await store.due_mail(1.0, 10) == [mail]

    # -- cancelled -----------------------------------------------------------------------------------------------

    async def test_cancel_deletes_all_delayed_mail_of_the_sender_under_the_send_id(self, store: Store) -> None:
        await store.commit(
            commit_at(
                1,
                mail=[
                    timer("t1", due_at=5.0, send_id="tick"),
                    timer("t2", due_at=6.0, send_id="tick"),
                    timer("to bob", due_at=7.0, send_id="tick", target=BOB),
                    timer("t3", due_at=8.0, send_id="tock"),
                ],
            )
        )
        await store.commit(commit_at(2, cancelled=["tick", "unknown"]))
        assert ids(await store.pending_mail(ALICE)) == ["t3"]
        assert await store.pending_mail(BOB) == []

    async def test_cancel_spares_mail_without_delay_and_mail_of_other_senders(self, store: Store) -> None:
        prompt = msgspec.structs.replace(letter("prompt"), send_id="tick")
        await store.commit(commit_at(1, mail=[prompt]))
        await store.commit(commit_at(1, CAROL, mail=[timer("hers", due_at=5.0, send_id="tick", owner=CAROL)]))
        namesake = Address("org-b", ALICE.machine, ALICE.instance)
        await store.commit(commit_at(1, namesake, mail=[timer("theirs", due_at=5.0, send_id="tick", owner=namesake)]))
        await store.commit(commit_at(2, cancelled=["tick"], cancels_all=True))
        assert ids(await store.due_mail(10.0, 10)) == ["prompt", "hers", "theirs"]

    async def test_cancel_does_not_reach_the_mail_of_its_own_commit(self, store: Store) -> None:
        await store.commit(commit_at(1, mail=[timer("old", due_at=5.0, send_id="tick")]))
        await store.commit(commit_at(2, cancelled=["tick"], mail=[timer("new", due_at=6.0, send_id="tick")]))
        assert ids(await store.pending_mail(ALICE)) == ["new"]

    async def test_cancels_all_deletes_all_delayed_mail_of_the_sender(self, store: Store) -> None:
        await store.commit(
            commit_at(
                1,
                mail=[
                    timer("t1", due_at=5.0, send_id="tick"),
                    timer("t2", due_at=6.0, send_id="tock", target=BOB),
                    letter("prompt"),
                ],
            )
        )
        await store.commit(commit_at(2, cancels_all=True, mail=[letter("last", due_at=1.0)]))
        assert await store.pending_mail(ALICE) == []
        assert ids(await store.pending_mail(BOB)) == ["prompt", "last"]

    async def test_consumed_timer_may_be_cancelled_by_the_same_commit(self, store: Store) -> None:
        await store.commit(commit_at(1, mail=[timer("t", due_at=5.0, send_id="tick")]))
        await store.commit(commit_at(2, consumed=["t"], cancelled=["tick"]))
        assert await store.pending_mail(ALICE) == []

    async def test_cancelled_mail_cannot_be_consumed(self, store: Store) -> None:
        await store.commit(commit_at(1, mail=[timer("t", due_at=5.0, send_id="tick")]))
        await store.commit(commit_at(2, cancelled=["tick"]))
        with pytest.raises(MailGone):
            await store.commit(commit_at(3, consumed=["t"]))

    async def test_cancel_reaches_a_timer_that_waits_for_another_attempt(self, store: Store) -> None:
        await store.commit(commit_at(1, mail=[timer("t", due_at=5.0, send_id="tick")]))
        await store.defer_mail("t", attempts=1, retry_at=9.0, error="no")
        await store.commit(commit_at(2, cancelled=["tick"]))
        assert await store.pending_mail(ALICE) == []
        assert await store.next_mail_at(0.0) is None

    # -- due -----------------------------------------------------------------------------------------------------

    async def test_due_mail_answers_what_is_due_now_and_nothing_later(self, store: Store) -> None:
        await send(store, letter("past", due_at=1.0), letter("now", due_at=5.0), letter("later", due_at=5.001))
        assert ids(await store.due_mail(5.0, 10)) == ["past", "now"]
        assert ids(await store.due_mail(0.0, 10)) == []

    async def test_due_mail_is_oldest_due_first_and_equal_ones_as_committed(self, store: Store) -> None:
        await store.commit(
            commit_at(1, mail=[letter("c", due_at=3.0), letter("b1", due_at=2.0), letter("b2", due_at=2.0)])
        )
        await store.commit(commit_at(1, CAROL, mail=[letter("a", sender=CAROL, due_at=1.0)]))
        await store.commit(commit_at(2, mail=[letter("b0", due_at=2.0), timer("b3", due_at=2.0, send_id="t")]))
        assert ids(await store.due_mail(9.0, 10)) == ["a", "b1", "b2", "b0", "b3", "c"]

    async def test_due_mail_answers_at_most_the_limit_from_the_front(self, store: Store) -> None:
        await store.commit(commit_at(1, mail=[letter(f"m{number}", due_at=float(9 - number)) for number in range(9)]))
        assert ids(await store.due_mail(99.0, 3)) == ["m8", "m7", "m6"]

    async def test_order_survives_the_consumption_of_what_came_before(self, store: Store) -> None:
        await send(store, letter("m1"), letter("m2"))
        await store.commit(commit_at(1, BOB, consumed=["m1", "m2"]))
        await send(store, letter("m3"), letter("m4"))
        await store.commit(commit_at(2, BOB, consumed=["m4"]))
        await send(store, letter("m5"))
        assert ids(await store.due_mail(1.0, 10)) == ["m3", "m5"]

    # -- failed attempts -----------------------------------------------------------------------------------------

    async def test_deferred_mail_is_due_again_at_its_retry_time_with_its_history(self, store: Store) -> None:
        await send(store, letter("m", due_at=1.0))
        await store.defer_mail("m", attempts=2, retry_at=10.0, error="it raised")
        assert await store.due_mail(9.999, 10) == []
        (mail,) = await store.due_mail(10.0, 10)
        assert mail == msgspec.structs.replace(
            letter("m", due_at=1.0), attempts=2, retry_at=10.0, last_error="it raised"
        )
        assert await store.pending_mail(BOB) == [mail]

    async def test_deferred_mail_holds_back_later_mail_of_the_same_pair_alone(self, store: Store) -> None:
        await send(
            store,
            letter("earlier", due_at=1.0),
            letter("same time, sent before", due_at=2.0),
            letter("failed", due_at=2.0),
            letter("same time, sent after", due_at=2.0),
            letter("later", due_at=3.0),
            letter("another target", target=CAROL, due_at=3.0),
            letter("another sender", sender=CAROL, due_at=3.0),
            timer("own timer", due_at=3.0, send_id="t"),
        )
        await store.defer_mail("failed", attempts=1, retry_at=10.0, error="no")
        untouched = ["earlier", "same time, sent before", "another target", "another sender", "own timer"]
        assert ids(await store.due_mail(9.0, 10)) == untouched
        assert ids(await store.due_mail(9.0, 3)) == untouched[:3]
        assert ids(await store.due_mail(10.0, 10)) == [
            "earlier",
            "same time, sent before",
            "failed",
            "same time, sent after",
            "later",
            "another target",
            "another sender",
            "own timer",
        ]

    async def test_what_was_held_back_is_due_once_the_failed_mail_is_gone(self, store: Store) -> None:
        for ending in ("consumed", "buried"):
            target = Address("org-a", "person", ending)
            await send(store, letter(f"{ending} 1", target=target), letter(f"{ending} 2", target=target))
            await store.defer_mail(f"{ending} 1", attempts=1, retry_at=1e12, error="no")
        assert await store.due_mail(9.0, 10) == []
        await store.commit(commit_at(1, Address("org-a", "person", "consumed"), consumed=["consumed 1"]))
        await store.bury_mail("buried 1", attempts=5, at=9.0, error="no")
        assert ids(await store.due_mail(9.0, 10)) == ["consumed 2", "buried 2"]

    async def test_deferring_or_burying_unknown_mail_is_no_error(self, store: Store) -> None:
        await store.defer_mail("never sent", attempts=1, retry_at=10.0, error="no")
        await store.bury_mail("never sent", attempts=1, at=10.0, error="no")
        assert (await store.list_dead_letters("org-a", cursor=None, limit=9)).rows == []
        assert await store.next_mail_at(0.0) is None

    # -- next ----------------------------------------------------------------------------------------------------

    async def test_next_mail_at_is_none_when_nothing_is_to_come(self, store: Store) -> None:
        assert await store.next_mail_at(0.0) is None
        await send(store, letter("due already", due_at=1.0))
        assert await store.next_mail_at(1.0) is None

    async def test_next_mail_at_is_the_earliest_due_time_after_now(self, store: Store) -> None:
        await send(store, *(letter(f"m{number}", due_at=float(number)) for number in (30, 10, 20)))
        assert [await store.next_mail_at(now) for now in (0.0, 9.999, 10.0, 20.0, 30.0)] == [
            10.0,
            10.0,
            20.0,
            30.0,
            None,
        ]

    async def test_next_mail_at_sees_the_times_of_further_attempts(self, store: Store) -> None:
        await send(store, letter("failed", due_at=1.0), letter("timer", due_at=20.0, target=CAROL))
        await store.defer_mail("failed", attempts=1, retry_at=15.0, error="no")
        assert [await store.next_mail_at(now) for now in (0.0, 14.0, 15.0, 20.0)] == [15.0, 15.0, 20.0, None]
        await store.defer_mail("failed", attempts=2, retry_at=30.0, error="no")
        assert [await store.next_mail_at(now) for now in (15.0, 20.0, 30.0)] == [20.0, 30.0, None]

    async def test_next_mail_at_waits_for_both_times_of_a_timer_that_was_deferred_before_it_was_due(
        self, store: Store
    ) -> None:
        await send(store, letter("m", due_at=20.0))
        await store.defer_mail("m", attempts=1, retry_at=10.0, error="no")
        assert [await store.next_mail_at(now) for now in (0.0, 10.0, 20.0)] == [20.0, 20.0, None]

    # -- pending -------------------------------------------------------------------------------------------------

    async def test_pending_mail_is_that_of_the_instance_timers_included_oldest_due_first(self, store: Store) -> None:
        namesake = Address("org-b", BOB.machine, BOB.instance)
        await create(store, BOB)
        await send(
            store,
            letter("late", due_at=9.0),
            timer("timer", due_at=5.0, send_id="t", owner=BOB),
            letter("prompt", due_at=1.0),
            letter("also prompt", due_at=1.0, sender=CAROL),
            letter("elsewhere", target=CAROL),
            letter("in another org", target=namesake),
        )
        await store.defer_mail("prompt", attempts=1, retry_at=100.0, error="no")
        assert ids(await store.pending_mail(BOB)) == ["prompt", "also prompt", "timer", "late"]

    # -- dead letters --------------------------------------------------------------------------------------------

    async def test_buried_mail_is_a_dead_letter_with_its_history_and_never_due(self, store: Store) -> None:
        await send(store, letter("m", due_at=1.0), letter("next", due_at=2.0))
        await store.defer_mail("m", attempts=4, retry_at=5.0, error="it raised")
        await store.bury_mail("m", attempts=5, at=6.0, error="it raised again")
        (dead,) = (await store.list_dead_letters("org-a", cursor=None, limit=9)).rows
        assert dead == msgspec.structs.replace(
            letter("m", due_at=1.0), attempts=5, retry_at=5.0, last_error="it raised again", buried_at=6.0
        )
        assert ids(await store.due_mail(1e15, 10)) == ["next"]
        assert ids(await store.pending_mail(BOB)) == ["next"]
        with pytest.raises(MailGone):
            await store.commit(commit_at(1, BOB, consumed=["m"]))

    async def test_a_dead_letter_is_not_revived_by_a_late_deferral(self, store: Store) -> None:
        await send(store, letter("m"))
        await store.bury_mail("m", attempts=5, at=6.0, error="the last")
        await store.defer_mail("m", attempts=1, retry_at=7.0, error="late")
        await store.bury_mail("m", attempts=6, at=8.0, error="twice")
        assert await store.due_mail(1e15, 10) == []
        assert await store.next_mail_at(0.0) is None
        (dead,) = (await store.list_dead_letters("org-a", cursor=None, limit=9)).rows
        assert (dead.attempts, dead.last_error) == (5, "the last")

    async def test_a_dead_letter_is_kept_when_its_sender_cancels(self, store: Store) -> None:
        await store.commit(commit_at(1, mail=[timer("t", due_at=5.0, send_id="tick")]))
        await store.bury_mail("t", attempts=5, at=6.0, error="no")
        await store.commit(commit_at(2, cancelled=["tick"], cancels_all=True))
        assert ids((await store.list_dead_letters("org-a", cursor=None, limit=9)).rows) == ["t"]

    async def test_dead_letters_are_those_of_the_target_org_in_the_order_of_burial(self, store: Store) -> None:
        elsewhere = Address("org-b", "person", "eve")
        await send(store, letter("m1"), letter("m2"), letter("m3"), letter("other", target=elsewhere))
        for mail_id in ("m2", "other", "m3", "m1"):
            await store.bury_mail(mail_id, attempts=5, at=6.0, error="no")
        assert ids((await store.list_dead_letters("org-a", cursor=None, limit=9)).rows) == ["m2", "m3", "m1"]
        assert ids((await store.list_dead_letters("org-b", cursor=None, limit=9)).rows) == ["other"]
