import json
import pickle

import pytest

from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.edits import ClusterMapError
from nimbus.cluster.mapcsv import map_from_csv, map_to_csv
from nimbus.cluster.mapfiles import read_map, write_map
from nimbus.cluster.mapjson import map_from_json, map_to_json


@pytest.fixture
def edited():
    """Every kind of edit, and one that was undone."""
    return (
        ClusterMap.of([0, 1, 1, 2, 0, -1], names={1: 'T, "helper"', 2: "Zelle ü"})
        .split([0], name="x")
        .split([4])
        .move([1], "x")
        .merge([2, "x"])
        .recolor(2, "#00ff00")
        .renamed({1: "a", 2: "b"})
        .assign(ClusterMap.of([3, 1, 1, 2, 0, -1]))
        .rename(3, "c")
        .undo()
    )


class TestJson:
    def test_gives_back_the_map_with_what_was_done_and_undone(self, edited):
        read = map_from_json(map_to_json(edited))
        assert read == edited
        assert read.undone == edited.undone
        assert read.redo() == edited.redo()
        assert read.undo() == edited.undo()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"format": "other"}, "has the format 'nimbus-clustermap', version 1"),
            ({"version": 2}, "version 2"),
            ({"start": []}, "JSON object, not list"),
            ({"start": {"nodes": [0]}}, "'metaclusters' is missing"),
            ({"start": {"nodes": [0.5], "metaclusters": []}}, "whole numbers, not 0.5"),
            ({"start": {"nodes": [True], "metaclusters": []}}, "whole numbers, not True"),
            ({"edits": {}}, "JSON list, not dict"),
            ({"edits": [{"do": "exec"}]}, "not 'exec'"),
            ({"edits": [{"do": "move", "nodes": [0]}]}, "'metacluster' is missing"),
            ({"edits": [{"do": "rename", "names": [[0]]}]}, "and its name or colour"),
            ({"edits": [{"do": "rename", "names": [[0, 1]]}]}, "text, not 1"),
            ({"edits": [{"do": "rename", "names": [[9, "x"]]}]}, "no metacluster 9"),
            ({"undone": [{"do": "merge", "metaclusters": [0, 9]}]}, "no metacluster 9"),
        ],
    )
    def test_that_is_malformed_is_refused_by_name(self, change, message):
        content = json.loads(map_to_json(ClusterMap.of([0, 1]))) | change
        with pytest.raises(ClusterMapError, match=message):
            map_from_json(json.dumps(content))

    @pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 5000, "null", "[1]"])
    def test_that_is_none_is_refused(self, text):
        with pytest.raises(ClusterMapError):
            map_from_json(text)


PAGE = """cell_som_cluster,cell_meta_cluster,cell_meta_cluster_rename
1,2,T cell
3,1,Tumour
4,2,T cell
"""


class TestCsv:
    def test_of_the_published_page_counts_from_one(self):
        read = map_from_csv(PAGE, n_nodes=5)
        assert read.metacluster == (1, -1, 0, 1, -1)
        assert read.names == {0: "Tumour", 1: "T cell"}
        assert map_to_csv(read, style="pixie") == PAGE

    def test_of_ours_keeps_nodes_names_and_colours(self, edited):
        read = map_from_csv(map_to_csv(edited), n_nodes=6)
        assert read.now == edited.now

    def test_takes_numbers_with_a_point_other_columns_and_a_byte_order_mark(self):
        text = "\ufeffnote,name,metacluster,node\nx,T,3.0,0\ny,U,1,1\n"
        assert map_from_csv(text).metacluster == (3, 1)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "needs the columns"),
            ("node,name\n0,a\n", "it has 'node', 'name'"),
            (PAGE.replace("3,1", "0,1"), "line 3: cell_som_cluster is a whole number from 1"),
            (PAGE.replace("3,1", "x,1"), "not 'x'"),
            (PAGE.replace("3,1", "1.5,1"), "not '1.5'"),
            (PAGE.replace("3,1", "1,1"), "line 3: node 1 has a row before"),
            (PAGE.replace("3,1", "9,1"), "cell_som_cluster 9, but there are 5 nodes"),
            (PAGE.replace("4,2,T cell", "4,2,B cell"), "line 4: 'B cell', but .* 'T cell' above"),
            (PAGE.replace("Tumour", "T cell"), "'T cell' is taken"),
            (PAGE.replace("3,1,Tumour", "3"), "whole number from 1, not ''"),
        ],
    )
    def test_that_is_malformed_is_refused_by_line(self, text, message):
        with pytest.raises(ClusterMapError, match=message):
            map_from_csv(text, n_nodes=5)


class TestFiles:
    @pytest.mark.parametrize("name", ["map.json", "map.csv"])
    def test_what_is_written_is_read(self, tmp_path, edited, name):
        write_map(edited, tmp_path / name)
        assert read_map(tmp_path / name, n_nodes=6).now == edited.now
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_a_pickle_is_not_opened(self, tmp_path):
        path = tmp_path / "map.pkl"
        path.write_bytes(pickle.dumps([1]))
        with pytest.raises(ClusterMapError, match=r"map.pkl: a cluster map is a .json or .csv"):
            read_map(path)

    def test_an_error_names_the_file(self, tmp_path):
        path = tmp_path / "map.json"
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(ClusterMapError, match=r"map\.json: "):
            read_map(path)
