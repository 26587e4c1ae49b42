from cwlbalsam.jobs.links import Figures
from cwlbalsam.service.link_book import LinkBook
from cwlbalsam.store.host import this_host
from cwlbalsam.store.memory import MemoryStore

FIGURES = Figures(latency_seconds=1.0, file_seconds=0.5, bytes_per_second=1e6, samples=2, learned=3.5)


def test_a_run_finds_what_an_earlier_one_has_learned() -> None:
    store = MemoryStore()
    first, second = LinkBook(), LinkBook()
    first.read(store)
    first.figures["local", "far", "scp"] = FIGURES
    first.write(store)
    second.read(store)
    assert second.figures == {("local", "far", "scp"): FIGURES}


def test_what_was_learned_on_another_machine_is_of_that_machine() -> None:
    store = MemoryStore()
    book = LinkBook()
    book.figures["far", "local", "scp"] = FIGURES
    book.write(store)
    assert list(store.links()) == [("far", f"local:{this_host().name}", "scp")]
    store.put_links({("far", "local:elsewhere", "rsync"): FIGURES})
    book.read(store)
    assert ("far", "local", "rsync") not in book.figures


def test_only_what_is_new_is_written() -> None:
    store = MemoryStore()
    store.put_links({("a", "b", "scp"): FIGURES})
    book = LinkBook()
    book.read(store)
    newer = Figures(latency_seconds=9.0, file_seconds=0.5, bytes_per_second=1e6, samples=3, learned=4.0)
    store.put_links({("a", "b", "scp"): newer})  # by another run, meanwhile
    book.write(store)
    assert store.links() == {("a", "b", "scp"): newer}
