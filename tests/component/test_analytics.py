"""The tables, the workgroup and the saved queries of the template, as Glue and Athena list them."""

from tests.conftest import Deployed


def test_glue_has_a_database_of_the_stacks_name_with_both_tables(stack: Deployed) -> None:
    glue, bucket = stack.session.client("glue"), stack.outputs["ArchiveBucket"]
    tables = {each["Name"]: each for each in glue.get_tables(DatabaseName="test_stack")["TableList"]}
    assert tables.keys() == {"raw", "curated"}
    for name, prefix in (("raw", "readings"), ("curated", "curated")):
        assert tables[name]["StorageDescriptor"]["Location"] == f"s3://{bucket}/{prefix}/"
        template = tables[name]["Parameters"]["storage.location.template"]
        assert template == f"s3://{bucket}/{prefix}/date=${{date}}/hour=${{hour}}"


def test_queries_are_limited_and_their_results_have_a_place(stack: Deployed) -> None:
    group = stack.session.client("athena").get_work_group(WorkGroup=stack.name)["WorkGroup"]["Configuration"]
    assert group["EnforceWorkGroupConfiguration"]
    assert int(group["BytesScannedCutoffPerQuery"]) == 100_000_000_000
    assert group["ResultConfiguration"]["OutputLocation"] == f"s3://{stack.outputs['ArchiveBucket']}/athena-results/"


def test_saved_queries_are_of_the_stacks_workgroup_and_database(stack: Deployed) -> None:
    athena = stack.session.client("athena")
    ids = athena.list_named_queries(WorkGroup=stack.name)["NamedQueryIds"]
    found = [athena.get_named_query(NamedQueryId=each)["NamedQuery"] for each in ids]
    assert len(found) == 6
    assert {each["Database"] for each in found} == {"test_stack"}
