"""What a recipe makes of the little that it is told."""

from dataclasses import replace

import pytest

from slmrec.errors import UserError
from slmrec.recipe import load_recipe


@pytest.mark.parametrize(("section", "epochs", "patience"), [("gru4rec", 100, 5), ("bert4rec", 200, 10)])
def test_a_key_leaves_the_others_of_its_section_as_they_were(section, epochs, patience, tmp_path):
    """Sections have defaults of their own: what trains until it gets no better goes on doing so."""
    (tmp_path / "mine.toml").write_text(f"[{section}.training]\nbatch_size = 64\n")
    for recipe in (
        load_recipe("default", {f"{section}.training.batch_size": "64"}),
        load_recipe(str(tmp_path / "mine.toml")),
        load_recipe(str(tmp_path / "mine.toml"), {f"{section}.hidden_size": 32}),
    ):
        training = getattr(recipe, section).training
        assert (training.batch_size, training.epochs, training.patience) == (64, epochs, patience)


def test_what_contradicts_itself_names_its_section():
    with pytest.raises(UserError, match=r"recipe 'default', esasrec: hidden_size 30 is not a multiple of num_heads 4"):
        load_recipe("default", {"esasrec.hidden_size": 30})
    with pytest.raises(UserError, match=r"caser\.training: batch_size is 0"):
        load_recipe("default", {"caser.training.batch_size": 0})


def test_a_taught_sasrec_has_its_own_dropout_and_otherwise_the_classic_models_options():
    recipe = load_recipe("taught", {"sasrec.item_dropout": "0.3", "sasrec.num_blocks": "1"})
    taught = recipe.taught_sasrec()
    assert (taught.dropout, taught.item_dropout) == (recipe.ensemble.taught_dropout, 0.0)
    assert replace(taught, dropout=recipe.sasrec.dropout, item_dropout=0.3) == recipe.sasrec
