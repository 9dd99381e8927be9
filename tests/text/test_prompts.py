from moe_lessons.text.prompts import examples, prompts


def test_a_list_to_choose_from_has_one_prompt_of_each_domain_and_no_underscores():
    assert list(examples().values()) == [texts[0] for texts in prompts().values()]
    assert not any("_" in name for name in examples())
