"""boto3 clients that speak one protocol of those that AWS's model offers, send what they are given unchecked, and check what
they get."""

import copy

import boto3
import botocore
from botocore.config import Config

import answers


def client(service, url, region, protocol=None, key="AKCONFORMANCE", token=None, signed=True):
    session = boto3.Session(
        aws_access_key_id=key, aws_secret_access_key="secret", aws_session_token=token, region_name=region
    )
    if protocol:
        speak(session, protocol)
    config = Config(
        parameter_validation=False,
        retries={"total_max_attempts": 1},
        inject_host_prefix=False,
        signature_version=None if signed else botocore.UNSIGNED,
    )
    return answers.hold(session.client(service, endpoint_url=url, config=config))


def speak(session, protocol):
    """botocore takes the first protocol of the model that it knows; leave it only one."""
    loader = session._session.get_component("data_loader")
    load = loader.load_service_model

    def narrowed(service_name, type_name, api_version=None):
        model = load(service_name, type_name, api_version)
        if type_name != "service-2":
            return model
        model = copy.deepcopy(model)
        model["metadata"]["protocols"] = [protocol]
        model["metadata"]["protocol"] = protocol
        return model

    loader.load_service_model = narrowed
