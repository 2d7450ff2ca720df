"""YooChoose clicks against values written out."""

import pytest

from slmrec.data.readers import read_source
from slmrec.errors import UserError

CLICKS = "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,0214536500,S\n"


@pytest.mark.parametrize("name", ["yoo/yoochoose-clicks.dat", "yoo/yoochoose-clicks.dat.gz"])
def test_clicks(write, tmp_path, name):
    for source in (write(name, CLICKS), tmp_path / "yoo"):
        raw = read_source(source)
        assert (raw.format, raw.timestamp_unit, raw.items) == ("yoochoose", "iso", None)
        # 2014-04-07T10:51:09Z is 1396867869 seconds after 1970
        assert raw.interactions.select("user_id", "item_id", "timestamp").rows() == [
            ("1", "214536502", 1_396_867_869_277_000),
            ("1", "0214536500", 1_396_868_049_868_000),
        ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2,2014-04-07", "line 3 of .* gives 2 instead of 4 fields"),
        ("2,soon,3,0", "line 3 of .* has 'soon' as timestamp"),
    ],
)
def test_what_is_wrong_is_said(write, line, message):
    with pytest.raises(UserError, match=message):
        read_source(write("yoochoose-clicks.dat", CLICKS + line + "\n"))
