"""Phenotype workflows as scimap's users write them."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from nimbus.core.typerules import Literal, Rule, TypeRules
from nimbus.core.workflow import read_type_rules

# As the example of scimap's documentation is built: all words, levels, a rest, a name twice.
WORKFLOW = """\
,,ASMA,CD163,CD206,CD3D,CD20,CD45,CD4,CD8A,CD30,CD57,CD16
all,Immune,,,,,,pos,,,,,
all,Stroma,pos,,,,,neg,,,,,
Immune,T cells,,,,pos,neg,,,,,,
Immune,Myeloid,,anypos,anypos,,,,,,,,
Immune,NK cells,,,,,,,,,,allpos,allpos
Immune,Odd,,,,anyneg,anyneg,,,,,,
Myeloid,T cells,,,,pos,,,,,,,
Myeloid,Dendritic cells,,,,,,,,,,allneg,allneg
T cells,Tumor CD30+,,,,,,,,,pos,,
T cells-rest,CD4 T cells,,,,,,,pos,,,,
T cells-rest,Double,,,,,,,allpos,allpos,,,
"""


def rules_of(text=WORKFLOW) -> TypeRules:
    return read_type_rules(pd.read_csv(io.StringIO(text)))


def texts(rules, path):
    (found,) = [one for one in rules.signatures if one.path == tuple(path.split(" > "))]
    return [str(rule) for rule in found.rules]


class TestWords:
    def test_pos_and_neg_are_a_rule_for_each_marker(self):
        assert texts(rules_of(), "Stroma") == ["ASMA+", "CD45-"]

    def test_anypos_needs_one_of_its_markers(self):
        assert texts(rules_of(), "Immune > Myeloid") == ["CD45+", "CD163+ or CD206+"]

    def test_anyneg_needs_one_negative_marker(self):
        assert texts(rules_of(), "Immune > Odd")[1:] == ["CD3D- or CD20-"]

    def test_allpos_is_one_rule_that_breaks_as_a_whole(self):
        assert texts(rules_of(), "Immune > NK cells")[1:] == ["CD57+ and CD16+"]

    def test_allneg_is_one_rule_too(self):
        assert texts(rules_of(), "Immune > Myeloid > Dendritic cells")[-1] == "CD57- and CD16-"


class TestLevels:
    def test_a_phenotype_has_the_rules_of_all_above_it(self):
        path = "Immune > T cells > Tumor CD30+"
        assert texts(rules_of(), path) == ["CD45+", "CD3D+", "CD20-", "CD30+"]

    def test_a_name_in_two_groups_is_found_in_both_with_what_is_below_it(self):
        paths = [one.path for one in rules_of().signatures if one.name == "CD4 T cells"]
        assert paths == [
            ("Immune", "T cells", "CD4 T cells"),
            ("Immune", "Myeloid", "T cells", "CD4 T cells"),
        ]

    def test_the_rest_of_a_group_is_where_none_of_the_group_holds(self):
        rules = texts(rules_of(), "Immune > T cells > CD4 T cells")
        assert rules[-2:] == ["not (CD30+)", "CD4+"]
        assert texts(rules_of(), "Immune > T cells > Double")[-2:] == [
            "not (CD30+)",
            "CD4+ and CD8A+",
        ]

    def test_a_phenotype_may_end_in_rest_itself(self):
        text = ",,A,B\nall,X-rest,pos,\nX-rest,Y,,pos\n"
        assert texts(rules_of(text), "X-rest > Y") == ["A+", "B+"]

    def test_names_are_in_the_order_of_levels(self):
        assert rules_of().names[:2] == ("Immune", "Stroma")
        assert rules_of().names[-1] == "Dendritic cells"


class TestFiles:
    def test_a_file_and_a_data_frame_are_the_same(self, tmp_path):
        path = tmp_path / "workflow.csv"
        path.write_text("\ufeff" + WORKFLOW)
        assert read_type_rules(path) == rules_of()

    def test_a_data_frame_may_have_lost_rows(self):
        frame = pd.read_csv(io.StringIO(WORKFLOW))
        left = read_type_rules(frame[frame.iloc[:, 1] != "Odd"])
        assert left == rules_of().without_types(["Odd"])

    def test_a_matrix_of_numbers_is_no_workflow(self, tmp_path):
        path = tmp_path / "matrix.csv"
        path.write_text("cell_type,CD3,CD20\nB,0,1\nT,1,\n")
        rules = read_type_rules(path)
        assert texts(rules, "T") == ["CD3+"]
        assert texts(rules, "B") == ["CD3-", "CD20+"]

    def test_it_survives_its_text(self):
        assert TypeRules.from_json(rules_of().to_json()) == rules_of()

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("Imune,X,pos,,,,,,,,,,", "phenotype 'X': group 'Imune' .* did you mean 'Immune'"),
            ("all,X,poss,,,,,,,,,,", "'X', marker 'ASMA': word 'poss' .* mean 'pos'"),
            ("all,X,,,,,,,,,,,", "'X' of group 'all' says nothing"),
            ("all,Immune,pos,,,,,,,,,,", "'Immune' stands twice in group 'all'"),
            (",X,pos,,,,,,,,,,", "no group or no phenotype"),
            ("T cells,Immune,pos,,,,,,,,,,", "circle: all > Immune > T cells > Immune"),
            ("Y,X,pos,,,,,,,,,,\nX,Y,pos,,,,,,,,,,", "no way leads .* to 'X', 'Y'"),
            ("all,X,pos", "3 entries, not 13"),
        ],
    )
    def test_mistakes_are_told_with_the_file(self, tmp_path, row, message):
        path = tmp_path / "workflow.csv"
        path.write_text(WORKFLOW + row + "\n")
        with pytest.raises(ValueError, match=f"workflow.csv.*{message}"):
            read_type_rules(path)


class TestRules:
    def test_what_is_unknown_leaves_a_rule(self):
        either = Rule(((Literal("A", True), Literal("B", True)),))
        both = Rule(((Literal("A", True),), (Literal("B", True),)))
        assert str(either.without({"A"})) == "B+"
        assert str(both.without({"A"})) == "B+"
        assert both.without({"A", "B"}) is None
        assert Rule(both.clauses, negated=True).without({"A"}) is None

    def test_a_type_left_out_takes_what_is_below_it(self):
        left = rules_of().without_types(["Immune"])
        assert left.names == ("Stroma",)
        with pytest.raises(ValueError, match="cell type 'Imune' .* did you mean 'Immune'"):
            rules_of().without_types(["Imune"])
